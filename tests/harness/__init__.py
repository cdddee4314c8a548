"""What the black-box, crash and power-loss tests share: the server as a process, plain clients, mails."""
