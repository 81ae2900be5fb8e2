"""A machine over SSH: from the login to the commands that the table has."""
