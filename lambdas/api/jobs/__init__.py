"""Analytics jobs: their items, their results and the function that runs them."""
