/** One sheet for all pages, light and dark. Nothing is loaded from anywhere. */
export const STYLE = `
:root{--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#667085;--line:#e4e7ec;--brand:#2f6feb;--ok:#1a8f4c;--warn:#b54708;
--bad:#c4320a;--off:#cfd4dc;--tint:#eef4ff}
@media(prefers-color-scheme:dark){:root{--bg:#0e131a;--card:#161d27;--ink:#e6eaf0;--soft:#93a0b4;--line:#263041;--brand:#6ea1ff;
--ok:#4cc38a;--warn:#f5a623;--bad:#ff7a59;--off:#3a4658;--tint:#1a2738}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:var(--brand);text-decoration:none}a:hover{text-decoration:underline}
header{display:flex;align-items:center;gap:24px;padding:14px 28px;background:var(--card);border-bottom:1px solid var(--line)}
header b{font-size:16px;letter-spacing:.02em}header nav{display:flex;gap:18px;flex:1}header small{color:var(--soft)}
main{max-width:1320px;margin:0 auto;padding:24px 28px 60px}h2{font-size:15px;margin:28px 0 10px}h2 small{color:var(--soft);font-weight:400}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:14px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.card h3{margin:0 0 8px;font-size:12px;font-weight:600;color:var(--soft);text-transform:uppercase;letter-spacing:.05em}
.big{font-size:26px;font-weight:600;line-height:1.2}.row{display:flex;justify-content:space-between;gap:10px}.soft{color:var(--soft)}
.bar{height:6px;border-radius:3px;background:var(--line);overflow:hidden;margin:4px 0 8px}.bar i{display:block;height:100%;background:var(--brand)}
table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
th{text-align:left;font-size:12px;font-weight:600;color:var(--soft);padding:9px 12px;border-bottom:1px solid var(--line)}
td{padding:10px 12px;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
code,.mono{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
.tag{display:inline-block;padding:1px 8px;border-radius:10px;font-size:12px;background:var(--tint);color:var(--brand);white-space:nowrap}
.tag.ok{color:var(--ok)}.tag.bad{color:var(--bad)}.tag.warn{color:var(--warn)}.tag.off{color:var(--soft)}
.way{display:flex;min-width:560px}.way span{flex:1;position:relative;padding-top:14px;font-size:11px;color:var(--soft);text-align:center}
.way span::before{content:"";position:absolute;top:4px;left:0;right:0;height:2px;background:var(--off)}
.way span::after{content:"";position:absolute;top:0;left:50%;margin-left:-5px;width:10px;height:10px;border-radius:50%;background:var(--off)}
.way span.on::before,.way span.on::after{background:var(--brand)}.way span.on{color:var(--ink)}
.way.ok span.on::before,.way.ok span.on::after{background:var(--ok)}.way.bad span.on::after{background:var(--bad)}
.way span:first-child::before{left:50%}.way span:last-child::before{right:50%}.way em{display:block;font-style:normal;color:var(--soft)}
form{display:inline}button{font:inherit;font-size:12.5px;padding:3px 12px;border-radius:6px;border:1px solid var(--line);background:var(--card);
color:var(--ink);cursor:pointer}button:hover{border-color:var(--brand);color:var(--brand)}.empty{padding:22px;text-align:center;color:var(--soft)}
.scroll{overflow-x:auto}dl{display:grid;grid-template-columns:140px 1fr;gap:6px 14px;margin:0}dt{color:var(--soft)}dd{margin:0}
pre{white-space:pre-wrap;margin:0}`;
