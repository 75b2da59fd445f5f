"""Copy the databases of other applications into a project."""
