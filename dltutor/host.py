"""What a session of a class asks of the server that it runs in."""
