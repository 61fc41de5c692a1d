"""Many peers on one machine, as one file says.  Start with spec.py for the file, then run.py for what is done with it.

A new attack is one class and one line in liars.ATTACKS; a new promise is one line in promises.missed and its field in
spec.ExpectSection.
"""
