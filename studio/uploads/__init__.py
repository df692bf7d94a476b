"""What browsers send and how datasets are shown: staged uploads, imports under way, pictures asked about."""
