"""The HTTP server: every capability's operations behind one gate."""
