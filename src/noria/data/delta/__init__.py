"""Delta tables whose files are objects: how they are written, read and changed. Needs the extra `noria[tables]`."""
