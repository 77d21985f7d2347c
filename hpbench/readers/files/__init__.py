"""Raw files: how they are found in data roots and archives, and how untrusted formats are read.

`sources` and `archives` find `datafile.DataFile`; `matlab`, `matlab_v73`, `pts` and `sqlite_tables` read formats that several
datasets share; `label_cache` keeps what was parsed.
"""
