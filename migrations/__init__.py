"""The numbered upgrade scripts of the bundled schemas, installed as ``peewee_conv.migrations``.

A released script is never edited: files in the field were upgraded by it. Scripts import nothing from peewee_conv.
"""
