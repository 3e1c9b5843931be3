"""The service's face: the HTTP API, the board's sockets and the pages."""
