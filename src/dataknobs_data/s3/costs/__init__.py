"""What is sent and kept, and what that costs: prices, the count of requests, estimates."""
