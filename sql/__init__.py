"""Storage only: tables, migrations, reads and writes."""
