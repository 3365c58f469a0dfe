"""What the tests share: real servers, real processes, bounded waiting."""
