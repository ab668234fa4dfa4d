{% macro online_retail_rules() %}
{% set rules %}
# reject: the line would make something untrue that a mart says of every row
- rule: order_id_present
  effect: reject
  grain: line
  holds: order_id is not null
  why: A line without an invoice belongs to no order.
- rule: customer_id_present
  effect: reject
  grain: line
  holds: customer_id is not null
  why: An order without a customer cannot be attributed; most are stock corrections and till sales.
- rule: ordered_at_readable
  effect: reject
  grain: line
  holds: ordered_at is not null
  why: A line without a moment falls into no day.
- rule: ordered_on_the_day_of_its_file
  effect: reject
  grain: line
  holds: |
    ordered_at is null
    or (ordered_at < extracted_at and ordered_at >= extracted_at - interval '1' day)
  why: A line of another day would change a day that was closed.
- rule: quantity_readable
  effect: reject
  grain: line
  holds: quantity = floor(quantity) and abs(quantity) between 1 and 999999
  why: Pieces are counted in whole numbers; zero or a million of them is a slip of the keyboard.
- rule: unit_price_readable
  effect: reject
  grain: line
  holds: unit_price between 0 and 999999
  why: A price that is no number, or below zero, would falsify revenue.
- rule: negative_quantity_is_a_refund
  effect: reject
  grain: line
  holds: quantity is null or (quantity < 0) = is_refund
  why: Pieces that go back without a cancellation are a stock correction and no sale.

# flag: odd but true; the line counts and carries its mark
- rule: unit_price_not_zero
  effect: flag
  grain: line
  holds: unit_price is null or unit_price <> 0
  why: Given away; the pieces count, the revenue is none.
- rule: stock_code_of_a_product
  effect: flag
  grain: line
  holds: |
    {{ rampart.try_number('substring(stock_code, 1, 5)') }} is not null
  why: Postage, fees, discounts and vouchers are money but no goods; product codes begin with five digits.
- rule: description_present
  effect: flag
  grain: line
  holds: description is not null
  why: Nobody can read in a report what was sold.
- rule: country_named
  effect: flag
  grain: line
  holds: country is not null and country <> 'Unspecified'
  why: The line is missing from every split by country.
- rule: line_not_repeated
  effect: flag
  grain: line
  holds: repeat_number = 1
  why: The same article entered twice in one order is common here, so it counts; a jump would mean a double export.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
