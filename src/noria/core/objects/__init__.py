"""The object store: bytes, trees and archives, addressed by their BLAKE3 digest."""
