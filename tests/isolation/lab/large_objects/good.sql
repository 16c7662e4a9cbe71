select lo_create(4711);
