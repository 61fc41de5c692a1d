"""What the benchmarks are made of; tools/bench.py is their command.

    ceilings  how fast this machine does one step          ->  floor of a figure
    link, start, lag, rules, rounds  measure one thing each ->  figures  ->  table and JSON
"""
