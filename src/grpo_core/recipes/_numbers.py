"""The numbers of the Magistral report (arXiv:2506.10910), each with its section. No torch here."""

EPSILON_LOW = 0.2  # not printed; the usual one
EPSILON_HIGH = 0.28  # section 2.1: 0.26 to 0.28 for Medium, 0.3 for Small
FORMAT, CORRECTNESS, LENGTH, LANGUAGE = 0.1, 0.9, 0.1, 0.1  # section 2.2
TESTS, COMPILE_SECONDS, TEST_SECONDS, MEMORY_MB = 20, 10.0, 4.0, 300  # section 2.2.2
# Section 5.2: where the penalty begins (printed as 16k, 24k, 32k), and the completions of a batch
# (8k, 4k, 2k), stage by stage.
UNPENALISED_LENGTHS = (16_384, 24_576, 32_768)
BATCHES = (8_192, 4_096, 2_048)
