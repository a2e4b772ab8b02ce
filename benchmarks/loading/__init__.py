"""Processor seconds of a whole night that only loads its network, most of which is the start of a process."""
