"""The stages of a diagnosis, each a pure function of values, from certain and cheap to uncertain and costly."""
