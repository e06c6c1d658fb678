"""Which of the operator's wishes may become records, and which records those are. One module a noun.

Each stage takes the wish and a world of what was read in one snapshot; what it decides may be written as long as
all of that still holds.
"""
