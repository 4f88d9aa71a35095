"""Which function or role made a call, found by the access key that the call is signed with."""
