"""The loops that move w. The engine knows a problem and an optimizer; what it reports, it reports to a
`Callback`, and never writes a file itself."""
