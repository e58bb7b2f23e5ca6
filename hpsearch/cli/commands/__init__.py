"""The commands, one file for each group; what a command needs is imported when it runs, so that --help is quick."""
