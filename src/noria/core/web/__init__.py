"""What all web pages share: the frame, the stylesheet, languages, formats, addresses and drawings."""
