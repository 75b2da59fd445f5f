"""The names of four older applications over the services of this package: change the import line, keep the program."""
