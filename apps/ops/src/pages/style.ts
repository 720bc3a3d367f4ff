/** One sheet for all pages, light and dark. Nothing is loaded from anywhere. */
export const STYLE = `
:root{--bg:#f5f6f8;--card:#fff;--ink:#18212e;--soft:#667085;--line:#e3e7ed;--brand:#2f6feb;--ok:#14834a;--warn:#b25e09;
--bad:#c8321a;--busy:#7a3fe0;--off:#ccd2db;--tint:#eef4ff;--ok-tint:#e7f6ee;--warn-tint:#fdf1e1;--bad-tint:#fdeae6;--busy-tint:#f2ebfe;--off-tint:#eef0f3}
@media(prefers-color-scheme:dark){:root{--bg:#0d1219;--card:#151c26;--ink:#e6eaf0;--soft:#93a0b4;--line:#263041;--brand:#6ea1ff;
--ok:#4cc38a;--warn:#f0a53a;--bad:#ff7a5c;--busy:#b494ff;--off:#3a4658;--tint:#17263d;--ok-tint:#12291f;--warn-tint:#2c2213;--bad-tint:#331a15;--busy-tint:#241b39;--off-tint:#1f2733}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
a{color:var(--brand);text-decoration:none}a:hover{text-decoration:underline}
header{display:flex;flex-wrap:wrap;align-items:center;gap:4px 28px;padding:0 28px;min-height:54px;background:var(--card);border-bottom:1px solid var(--line)}
.brand{display:flex;align-items:center;gap:9px;font-size:17px;font-weight:700;color:var(--ink)}.brand:hover{text-decoration:none}
.brand i{width:16px;height:16px;border-radius:5px;background:linear-gradient(135deg,var(--brand),var(--busy))}
header nav{display:flex;gap:4px;flex:1}header nav a{white-space:nowrap;padding:5px 11px;border-radius:7px;color:var(--soft)}header nav a:hover{background:var(--off-tint);text-decoration:none}
header nav a.here{background:var(--tint);color:var(--brand)}header small{color:var(--soft);white-space:nowrap}
.live::before{content:"";display:inline-block;width:7px;height:7px;margin-right:7px;border-radius:50%;background:var(--ok)}
main{max-width:1360px;margin:0 auto;padding:22px 28px 60px}
h1{font-size:20px;margin:4px 0 16px;display:flex;align-items:center;gap:12px;flex-wrap:wrap}h1 .mono{font-size:18px}
h1 small,h2 small{color:var(--soft);font-weight:400;font-size:13px}h2{font-size:15px;margin:26px 0 10px}
.banner{display:flex;gap:14px;align-items:baseline;padding:11px 16px;margin-bottom:12px;border:1px solid var(--warn);border-radius:10px;background:var(--warn-tint)}
.banner b{color:var(--warn)}.banner span{flex:1}.banner small{color:var(--soft);white-space:nowrap}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:14px}
.card,.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 18px}
.tile h3{margin:0 0 4px;font-size:12.5px;font-weight:600;color:var(--soft)}
.big{font-size:30px;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}.soft{color:var(--soft)}.strong{font-weight:600}.nowrap{white-space:nowrap}
.warn{color:var(--warn)}.bad{color:var(--bad)}.ok{color:var(--ok)}.busy{color:var(--busy)}
.row{display:flex;justify-content:space-between;align-items:baseline;gap:12px}.caps{display:grid;grid-template-columns:repeat(auto-fill,minmax(260px,1fr));gap:14px;margin-top:14px}
.bar{height:6px;border-radius:3px;background:var(--line);overflow:hidden;margin:4px 0 2px}.bar i{display:block;height:100%;border-radius:3px;background:var(--brand)}.bar.warn i{background:var(--warn)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px}
.card.scroll{padding:16px 18px}table{width:100%;border-collapse:collapse}
th{text-align:left;font-size:12px;font-weight:600;color:var(--soft);padding:9px 14px;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:10px 14px;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
.count{text-align:right;width:1%;font-variant-numeric:tabular-nums}td.count b{font-size:16px}.places{min-width:170px}.words{min-width:230px;max-width:400px;overflow-wrap:anywhere}
.steps td{padding:5px 14px;border:0;overflow-wrap:anywhere}.steps td.nowrap{width:1%;font-variant-numeric:tabular-nums}.steps tr:first-child td{padding-top:12px}.steps tr:last-child td{padding-bottom:12px}
code,.mono{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace}
.tag{display:inline-block;padding:1px 9px;border-radius:10px;font-size:12px;font-weight:500;background:var(--tint);color:var(--brand)}
.tag.ok{color:var(--ok);background:var(--ok-tint)}.tag.bad{color:var(--bad);background:var(--bad-tint)}.tag.warn{color:var(--warn);background:var(--warn-tint)}
.tag.busy{color:var(--busy);background:var(--busy-tint)}.tag.off{color:var(--soft);background:var(--off-tint)}
.label{display:inline-block;padding:0 7px;border:1px solid var(--line);border-radius:6px;font-size:12px;color:var(--soft);white-space:nowrap}
.way{display:flex;min-width:580px;--tone:var(--brand)}.way.ok{--tone:var(--ok)}.way.busy{--tone:var(--busy)}.way.warn{--tone:var(--warn)}.way.bad{--tone:var(--bad)}.way.off{--tone:var(--soft)}
.way span{flex:1;position:relative;padding-top:15px;font-size:11px;line-height:1.35;color:var(--soft);text-align:center}
.way span::before{content:"";position:absolute;top:5px;left:0;right:0;height:2px;background:var(--off)}
.way span::after{content:"";position:absolute;top:1px;left:50%;margin-left:-5px;width:10px;height:10px;border-radius:50%;background:var(--off)}
.way span.on::before{background:var(--tone)}.way span.on::after{background:var(--tone)}.way span.on{color:var(--ink)}
.way span.next{color:var(--tone);font-weight:600}.way span.next::before{background:linear-gradient(90deg,var(--tone) 50%,var(--off) 50%)}
.way span.next::after{background:var(--card);box-shadow:inset 0 0 0 2px var(--tone)}
.way span:first-child::before{left:50%}.way span:last-child::before{right:50%}.way em{display:block;font-style:normal;font-weight:400;color:var(--soft);font-variant-numeric:tabular-nums}
.answer{margin-top:14px}dl{display:grid;grid-template-columns:90px 1fr;gap:7px 14px;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.letter{margin-bottom:12px}.letter p{margin:8px 0;overflow-wrap:anywhere}.letter .scroll{margin-top:8px}summary{cursor:pointer;color:var(--soft)}
form{display:inline}button{font:inherit;font-size:13px;padding:4px 14px;border-radius:7px;border:1px solid var(--line);background:var(--card);color:var(--ink);cursor:pointer}
button:hover{border-color:var(--brand);color:var(--brand)}button.main{background:var(--brand);border-color:var(--brand);color:#fff}button.main:hover{filter:brightness(1.1);color:#fff}
.find{display:flex;gap:10px}.find input{flex:1;font:inherit;padding:6px 12px;border:1px solid var(--line);border-radius:7px;background:var(--bg);color:var(--ink)}
.empty{padding:22px;text-align:center;color:var(--soft)}pre{white-space:pre-wrap;margin:0}`;
