"""Seeded draws from integers alone, so that every machine and every Python makes the same data."""


class Draws:
    """Knuth's 64-bit linear congruential generator; its upper bits are used."""

    def __init__(self, *seed):
        self.state = 0
        for part in seed:
            numbers = [part] if isinstance(part, int) else part.encode()
            for number in numbers:
                self.state = (self.state * 1099511628211 + number + 1) % 2**64
        for _ in range(4):
            self.below(2)

    def below(self, bound):
        """A whole number from 0 to bound - 1."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) * bound >> 31

    def chance(self, percent):
        return self.below(100) < percent

    def pick(self, items):
        return items[self.below(len(items))]

    def shuffle(self, items):
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items
