"""The ground floor: what every capability stands on. Imports no capability."""
