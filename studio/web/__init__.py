"""The web process: the server, who may ask what, accounts and login, files, background work."""
