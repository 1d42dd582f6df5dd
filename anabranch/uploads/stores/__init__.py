"""Where files are uploaded to: one module for each kind of store, behind two interfaces."""
