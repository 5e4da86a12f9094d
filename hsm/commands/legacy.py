"""FA, FC, FE, FK, FM, GC, MG, MI, GK: the older key translations."""
