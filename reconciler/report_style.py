"""How the report looks, on a screen and on A4 paper: nothing is fetched, nothing runs over."""

from __future__ import annotations

STYLE = """
:root{--ink:#1d2430;--soft:#5b6675;--line:#d9dee6;--critical:#a4161a;--error:#c2410c;
--warning:#8a6100;--well:#1b6e3c}
*{box-sizing:border-box}
body{margin:0;background:#f4f6f9;color:var(--ink);font:14px/1.45 system-ui,"Segoe UI",sans-serif}
main{max-width:68rem;margin:2rem auto;padding:2.5rem 3rem;background:#fff;border-radius:6px;
box-shadow:0 1px 4px #0002}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;justify-content:space-between;
align-items:baseline;border-bottom:2px solid var(--ink);padding-bottom:.5rem}
h1{font-size:1.6rem;margin:0}header p{margin:0;color:var(--soft)}
h2{font-size:1.15rem;margin:2.25rem 0 .5rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem;padding-left:.6rem;border-left:4px solid;
break-after:avoid}
h3 span{color:var(--soft);font-weight:400}h3+p{margin:.1rem 0 .5rem;color:var(--soft)}
.critical{color:var(--critical)}.error{color:var(--error)}.warning{color:var(--warning)}
.verdict{font-size:1.15rem;font-weight:600;margin:1rem 0}.well{color:var(--well)}
.none,.score,i{color:var(--soft)}i{font-style:normal}
main>dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;margin:0}
main>dl div{border:1px solid var(--line);border-radius:4px;padding:.5rem .75rem;break-inside:avoid}
dt{color:var(--soft);font-size:.8rem}dd{margin:0}
main>dl dd{font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums;
white-space:nowrap}main>dl .wide{grid-column:span 2}
table{border-collapse:collapse;width:100%;table-layout:fixed;margin:.25rem 0 0}
th{text-align:left;font-size:.8rem;color:var(--soft);font-weight:600;vertical-align:bottom}
th,td{padding:.35rem .5rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td{vertical-align:top}th{overflow-wrap:normal}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
tfoot td{font-weight:600;border-bottom:0}tr.bad td{background:#fdf0ee}
th:nth-child(1){width:9%}.standing th:nth-child(3){width:15%}
.standing th:nth-child(4){width:14%}.standing th:nth-child(5){width:17%}
.settled th:nth-child(3){width:22%}.settled th:nth-child(4){width:13%}
.settled th:nth-child(5){width:17%}
.checks th.n{width:10.5%}
small{display:block;color:var(--soft)}small.late{color:var(--critical);font-weight:600}
.differs{display:grid;grid-template-columns:4.2rem 1fr;gap:0 .5rem;margin:.15rem 0 0;
font-size:.85rem}
@page{size:A4;margin:14mm 12mm 16mm;
@bottom-right{content:counter(page) " / " counter(pages);font:8pt sans-serif;color:#5b6675}}
@media print{html{font-size:12px}body{background:none;font-size:9pt}
main{max-width:none;margin:0;padding:0;
box-shadow:none}thead{display:table-header-group}tfoot{display:table-row-group}
tr{break-inside:avoid}h2{break-after:avoid}tr.bad td{print-color-adjust:exact;
-webkit-print-color-adjust:exact}}
@media (max-width:44rem){main{padding:1rem;margin:0;overflow-x:auto}table{min-width:40rem}}
""".replace("\n", "")
