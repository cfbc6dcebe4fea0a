"""Finders of holes: text, one colour, what stays the same in a folder, dust, scratches, and outside commands."""
