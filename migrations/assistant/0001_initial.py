"""All tables of ``assistant.db``: assistants, conversations, messages, search, accounts, datasets, token usage.

Two rules live in the schema rather than in a service, so that no writer can break them: a message that extends its
conversation advances the counts (``tr_messages_appended``), and a conversation whose last message is not in the search
index is listed as pending (``tr_conversations_pending``).

Every connection of ours sets ``trusted_schema = OFF``. Under it SQLite 3.38 to 3.4x refuses json_valid() in a CHECK
and FTS5 in a trigger: so JSON columns are checked by shape, and who deletes messages takes them out of the index.
"""

from typing import Any

TABLES = (
    """
    CREATE TABLE users (
        id TEXT NOT NULL PRIMARY KEY,
        google_id TEXT NOT NULL,
        email TEXT NOT NULL,
        name TEXT NOT NULL,
        avatar_url TEXT,
        created_at TEXT NOT NULL,
        last_login_at TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE sessions (
        id TEXT NOT NULL PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        token_hash TEXT NOT NULL CONSTRAINT ck_session_token_hash CHECK (length(token_hash) = 64),
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE referral_keys (
        id TEXT NOT NULL PRIMARY KEY,
        key_hash TEXT NOT NULL CONSTRAINT ck_referral_key_hash CHECK (length(key_hash) = 64),
        prefix TEXT NOT NULL,
        created_by TEXT REFERENCES users (id) ON DELETE SET NULL,
        used_by TEXT REFERENCES users (id) ON DELETE SET NULL,
        created_at TEXT NOT NULL,
        used_at TEXT,
        CONSTRAINT ck_referral_key_used CHECK (used_by IS NULL OR used_at IS NOT NULL)
    )
    """,
    """
    CREATE TABLE assistants (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL CONSTRAINT ck_assistant_name CHECK (length(name) <= 255),
        instructions TEXT NOT NULL CONSTRAINT ck_assistant_instructions
            CHECK (trim(instructions, char(9, 10, 11, 12, 13, 32)) <> ''),
        model TEXT NOT NULL,
        metadata TEXT NOT NULL DEFAULT '{}' CONSTRAINT ck_assistant_metadata CHECK (metadata GLOB '{*}'),
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE conversations (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT
            CONSTRAINT ck_conversation_number CHECK (number BETWEEN 1 AND 2147483647),
        id TEXT NOT NULL,
        assistant_id TEXT REFERENCES assistants (id) ON DELETE CASCADE,
        user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
        project_name TEXT,
        title TEXT CONSTRAINT ck_conversation_title CHECK (length(title) <= 200),
        message_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT ck_conversation_message_count CHECK (message_count >= 0),
        token_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT ck_conversation_token_count CHECK (token_count >= 0),
        last_sequence INTEGER NOT NULL DEFAULT 0,
        indexed_sequence INTEGER NOT NULL DEFAULT 0
            CONSTRAINT ck_conversation_indexed CHECK (indexed_sequence BETWEEN 0 AND last_sequence),
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        metadata TEXT NOT NULL DEFAULT '{}' CONSTRAINT ck_conversation_metadata CHECK (metadata GLOB '{*}')
    )
    """,
    """
    CREATE TABLE messages (
        id INTEGER NOT NULL PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
        sequence INTEGER NOT NULL,
        role TEXT NOT NULL
            CONSTRAINT ck_message_role CHECK (role IN ('system', 'user', 'assistant', 'tool', 'developer')),
        content TEXT NOT NULL,
        token_count INTEGER CONSTRAINT ck_message_token_count CHECK (token_count >= 0),
        metadata TEXT CONSTRAINT ck_message_metadata CHECK (metadata GLOB '{*}'),
        external_id TEXT,
        created_at TEXT NOT NULL,
        CONSTRAINT ck_message_key
            CHECK (id = (conversation << 32 | sequence) AND sequence BETWEEN 1 AND 4294967295)
    )
    """,
    """
    CREATE TABLE message_search_pending (
        conversation INTEGER NOT NULL PRIMARY KEY REFERENCES conversations (number) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE datasets (
        id TEXT NOT NULL PRIMARY KEY,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        url TEXT NOT NULL,
        name TEXT NOT NULL,
        row_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT ck_dataset_row_count CHECK (row_count >= 0),
        column_count INTEGER NOT NULL DEFAULT 0 CONSTRAINT ck_dataset_column_count CHECK (column_count >= 0),
        schema TEXT NOT NULL DEFAULT '[]' CONSTRAINT ck_dataset_schema CHECK (schema GLOB '[[]*]'),
        status TEXT NOT NULL DEFAULT 'loading'
            CONSTRAINT ck_dataset_status CHECK (status IN ('loading', 'ready', 'error')),
        error_message TEXT,
        created_at TEXT NOT NULL,
        loaded_at TEXT
    )
    """,
    """
    CREATE TABLE token_usage (
        id TEXT NOT NULL PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        conversation_id TEXT REFERENCES conversations (id) ON DELETE SET NULL,
        model_name TEXT NOT NULL,
        input_tokens INTEGER NOT NULL CONSTRAINT ck_token_usage_input CHECK (input_tokens >= 0),
        output_tokens INTEGER NOT NULL CONSTRAINT ck_token_usage_output CHECK (output_tokens >= 0),
        cost REAL NOT NULL DEFAULT 0 CONSTRAINT ck_token_usage_cost CHECK (cost >= 0),
        timestamp TEXT NOT NULL
    )
    """,
)

# The first index of each owner column also gives the order of its list: the newest activity first.
INDEXES = (
    "CREATE UNIQUE INDEX idx_users_google_id ON users (google_id)",
    "CREATE INDEX idx_sessions_user_id ON sessions (user_id)",
    "CREATE UNIQUE INDEX idx_sessions_token_hash ON sessions (token_hash)",
    "CREATE INDEX idx_sessions_expires_at ON sessions (expires_at)",
    "CREATE UNIQUE INDEX idx_referral_keys_key_hash ON referral_keys (key_hash)",
    "CREATE INDEX idx_referral_keys_created_by ON referral_keys (created_by)",
    "CREATE INDEX idx_referral_keys_used_by ON referral_keys (used_by)",
    "CREATE INDEX idx_assistants_name ON assistants (name)",
    "CREATE INDEX idx_assistants_created_at ON assistants (created_at)",
    "CREATE UNIQUE INDEX idx_conversations_id ON conversations (id)",
    "CREATE INDEX idx_conversations_updated_at ON conversations (updated_at)",
    "CREATE INDEX idx_conversations_user_id ON conversations (user_id, updated_at) WHERE user_id IS NOT NULL",
    """
    CREATE INDEX idx_conversations_assistant_id ON conversations (assistant_id, updated_at)
        WHERE assistant_id IS NOT NULL
    """,
    """
    CREATE INDEX idx_conversations_project_name ON conversations (project_name, updated_at)
        WHERE project_name IS NOT NULL
    """,
    "CREATE UNIQUE INDEX idx_messages_conversation_id ON messages (conversation, external_id)",
    "CREATE INDEX idx_messages_pinned ON messages (conversation, role) WHERE role IN ('system', 'developer')",
    "CREATE UNIQUE INDEX idx_datasets_conversation_id ON datasets (conversation_id, url)",
    "CREATE UNIQUE INDEX idx_datasets_name ON datasets (conversation_id, name)",
    "CREATE INDEX idx_token_usage_user_timestamp ON token_usage (user_id, timestamp, input_tokens, output_tokens)",
    "CREATE INDEX idx_token_usage_conversation_id ON token_usage (conversation_id)",
)

# The search index reads its text through the view, which shows what is indexed and nothing else: so SQLite's own
# integrity check of the index can compare the two at any time.
SEARCH = (
    """
    CREATE VIEW message_search_source AS
        SELECT messages.id AS id, messages.content AS content
        FROM messages JOIN conversations ON conversations.number = messages.conversation
        WHERE messages.sequence <= conversations.indexed_sequence
    """,
    """
    CREATE VIRTUAL TABLE message_search USING fts5 (
        content, content = 'message_search_source', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    )
    """,
)

TRIGGERS = (
    """
    CREATE TRIGGER tr_messages_appended AFTER INSERT ON messages
    WHEN NEW.sequence > (SELECT last_sequence FROM conversations WHERE number = NEW.conversation)
    BEGIN
        UPDATE conversations SET
            last_sequence = NEW.sequence,
            message_count = message_count + 1,
            token_count = token_count + coalesce(NEW.token_count, 0),
            updated_at = max(updated_at, NEW.created_at),
            title = CASE
                WHEN NEW.role <> 'user' OR title <> '' THEN title
                WHEN length(NEW.content) > 50 THEN substr(NEW.content, 1, 50) || '...'
                ELSE nullif(substr(NEW.content, 1, 50), '')
            END
        WHERE number = NEW.conversation;
    END
    """,
    """
    CREATE TRIGGER tr_conversations_pending AFTER UPDATE OF last_sequence ON conversations
    WHEN OLD.indexed_sequence = OLD.last_sequence AND NEW.last_sequence > OLD.last_sequence
    BEGIN
        INSERT OR IGNORE INTO message_search_pending (conversation) VALUES (NEW.number);
    END
    """,
)

DROPS = (
    "DROP TABLE message_search",
    "DROP VIEW message_search_source",
    "DROP TABLE token_usage",
    "DROP TABLE datasets",
    "DROP TABLE message_search_pending",
    "DROP TABLE messages",
    "DROP TABLE conversations",
    "DROP TABLE assistants",
    "DROP TABLE referral_keys",
    "DROP TABLE sessions",
    "DROP TABLE users",
)


def up(migrator: Any, db: Any) -> None:
    for statement in TABLES + INDEXES + SEARCH + TRIGGERS:
        db.execute_sql(statement)


def down(migrator: Any, db: Any) -> None:
    for statement in DROPS:
        db.execute_sql(statement)
