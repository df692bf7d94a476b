"""The command line: every act of the page, from a terminal."""
