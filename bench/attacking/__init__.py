"""The parts of `bench/attack.py`: an instance to attack, attackers, honest people, and what is measured meanwhile."""
