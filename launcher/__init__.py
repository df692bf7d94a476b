"""How work becomes processes, and stays under control: commands, keeper, devices, supervisor, chat."""
