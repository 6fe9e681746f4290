"""The explorer: every order in which the commands of some tasks can reach a server, one after the other."""
