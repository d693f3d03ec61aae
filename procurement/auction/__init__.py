"""The live auction: the room that decides bids in batches, the clock, the gateway for bids and streams, the replay."""
