"""What a user types besides `lgnet inpaint`: options and help. Bodies only translate; heavy imports happen inside."""
