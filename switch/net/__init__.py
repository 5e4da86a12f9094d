"""Small parts that every link needs: frames with a length before them, and patience.

Sans-IO: bytes and times in, frames and waits out; no reactor, no clock, no logs.
"""
