"""Operations as plain functions, without Prefect: assign, push, pull, move, count, check."""
