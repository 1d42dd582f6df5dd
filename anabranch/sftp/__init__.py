"""SFTP servers: whose they are, the login, the connections of this process, and sessions that send requests ahead."""
