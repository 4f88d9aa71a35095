"""publish: makes an audited object visible, or withholds it."""
