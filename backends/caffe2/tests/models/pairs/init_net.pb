

pairs_init