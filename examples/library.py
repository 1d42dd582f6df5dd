"""The functions of the package, which need no server: run `python library.py` in this folder after make_orders.py."""

import shop

import anabranch

ORDERS = "orders/2026-11-0[124].csv.gz"  # the days without a broken row


def main() -> None:
    """Convert, filter, sum and split."""
    converted = anabranch.bulk_convert("orders/*.csv.gz", "bulk/", to_ext="parquet", parallel=True)
    print(f"{converted.successful_files} of {converted.total_files} files, {converted.total_rows_out:,} rows")
    for one in converted.file_results:
        if not one.success:
            print(f"left out: {one.error}")

    kept = anabranch.pipeline(ORDERS, "large.jsonl", shop.large, parallel=True)
    print(f"{kept.rec_count - kept.nulls:,} of {kept.rec_count:,} orders are large")

    sums = anabranch.pipeline(ORDERS, None, shop.by_city, parallel=True, merge=shop.added)
    for city, amount in sorted(sums.state.items()):
        print(f"{city}: {amount:,.2f}")

    with anabranch.parallel_read(ORDERS) as orders, anabranch.parallel_write(["even.csv.gz", "odd.parquet"]) as out:
        for order in orders:
            out.write(order, destination="odd.parquet" if order["order"] % 2 else "even.csv.gz")


if __name__ == "__main__":
    main()
