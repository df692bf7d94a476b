"""Who may come in: accounts, their passwords, the sessions of browsers, and how often somebody may guess."""
