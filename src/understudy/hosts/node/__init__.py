"""What understudy does on a node itself: standard library only, sent over SSH and run by the node's own python3.

Nothing is installed, and neither code nor data is seen on a command line. The modules work on Python 3.10 and newer.
"""
