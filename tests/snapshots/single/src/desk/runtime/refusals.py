"""Recognise a short answer that declines what was asked, in English and in words alone.

A refusal has three marks: the speaker (or the request, or a policy) is its subject, an inability
or unwillingness its verb, and a task its object; and beside it stand only courtesies, reasons and
offers. With something of substance beside it the text is an answer: "I cannot give a date, but it
left on Monday". What the text quotes, or reports of others, counts as neither.
"""

import json
import re
from contextlib import suppress

MOST_CHARS = 800
"""A longer text is an answer that begins with a reservation."""
LEAST_WORDS = 3
"""Shorter leftovers, such as a greeting, are not of substance."""

_FIELDS = ("answer", "response", "text", "content", "message", "output", "result", "error")
"""Where a typed answer has its words, if it has nothing else."""
_KEYBOARD = str.maketrans(
    "\u2018\u2019\u02bc\u201c\u201d\u201e\u2013\u2014", "'''\"\"\"--", "*`#>_"
)
_QUOTED = re.compile(r""""[^"\n]*"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w))+'(?!\w)""")
# Written out, so that each rule has one form to match.
_LONG = {
    r"\b(?:im|i'm)\b": "i am",
    r"\bwe're\b": "we are",
    r"\bi'd\b": "i would",
    r"\bi'll\b": "i will",
    r"\b(i|we|you)'ve\b": r"\1 have",
    r"\b(that|it|there|what)'s\b": r"\1 is",
    r"\bcan(?:'?t| ?not)\b": "can not",
    r"\bwon'?t\b": "will not",
    r"n't\b": " not",
}
_TASK = (
    r"(?:help(?! but\b)|assist|be of (?:help|assistance|service)|comply|fulfil|provide|support"
    r"|engage|continue|creat|generat|writ|discuss|answer|respond|reply|translat|summari|shar(?:e"
    r"|ing)|giv(?:e|ing)|tell you|show|explain|describ|process|complet|produc|reproduc|perform"
    r"|carry|do (?:that|this|so|it|anything)\b|do$|advis(?:e|ing)|judg|assess|evaluat|weigh in|analy[sz]"
    r"|recommend (?:any|a (?!\w+ enough)|such|specific)|find (?:a way|that|this)|fetch|retriev"
    r"|entertain|indulge|touch|get into|check|read (?:this|that|the|any|your)|transcrib|interpret"
    r"|(?:be )?involved in|handl|deal with|play along|role|contribute|transl|supply|list|return"
    r"|offer (?:\w+ )?(?:advice|assistance|help|opinion"
    r"|guid)|open|brows|access|watch|view|see (?:image|picture|photo)|mak(?:e|ing)(?! it\b)"
    r"|predict|look (?:\w+ )*up|comment|say|speak|talk|go (?:into|along|there)|form (?:\w+ )?opinion|execut|draft|compos"
    r"|participat|accommodat|honou?r|disclos|reveal|proceed|be part|take part|satisf|grant"
    r"|facilitat|promot|condon|endors|encourag|draw|imitat|impersonat|ignore|bypass|run|confirm"
    r"|compute|know|verify (?:this|that)\b|role-?play|pretend|play|(?:\w+ ){1,3}(?:your|this|that"
    r"|these|those|such an?) (?:\w+ )?(?:request|question|task|topic|subject|conversation"
    r"|demand)s?\b)"
)
_ADVERBS = (
    r"(?:(?:really|simply|just|unfortunately|regrettably|sadly|currently|respectfully|politely"
    r"|also|still|therefore|thus|kindly|absolutely|personally|always|directly|ethically|be|even"
    r"|able|to|legally|further|ever|in good conscience|under any circumstances?|at this time|and"
    r"|or|not|can|will|either|here|myself|however|firmly|,)\s*)*"
)
_UNABLE = (
    r"(?:(?:can|will|should|shall|must|do|may) (?:not|never)|(?:am|are|being|have been)"
    r"(?: \w+)? (?:unable|unwilling|forbidden|prohibited|restricted|prevented|barred"
    r"|uncomfortable)|(?:am|are|was|were|have)(?: \w+|, \w+,)? not (?:\w+ )?(?:able|permitted"
    r"|allowed|authori[sz]ed|willing|going|equipped|designed|comfortable|at liberty|capable"
    r"|inclined|prepared|qualified|supposed|meant|in a position|trained|programmed|built|made|here"
    r"|ready)|do not (?:want|wish|care|intend)|(?:am|are) not interested in|(?:would )?(?:rather"
    r"|prefer) not|(?:choose|have decided|opt|was \w+|have been \w+|am \w+) (?:not|never)"
    r"|would be uncomfortable|feel uncomfortable)(?: (?:to|from|of|with|about|for))?"
)
_DECLINE = (
    r"(?:(?:am|are|must|have|need|going|choose|obliged|forced|compelled|will|would like|would have"
    r"|want|shall) (?:to )?)*(?:respectfully |politely |firmly |kindly )?(?:(?:refus(?:e|ing)"
    r"|declin(?:e|ing))(?= (?:to|this|that|your|the request|it)\b|\W*$|,)|pass on|turn down"
    r"|say no)"
)
_TOPIC = r"(?:your|this|that|the|such an?) (?:\w+ )?(?:request|question|content|topic|task|prompt)"
_DOING = r"(?:helping|assisting|writing|creating|providing|answering|doing|discussing|generating)"
_RULES = (
    r"(?:guideline|polic|principle|programming|rule|instruction|value|training|ethic|terms)[\w ]*?"
)
_REFUSES = re.compile(
    rf"\b(?:i|we),?(?: \w+,)? {_ADVERBS}{_UNABLE},? {_ADVERBS}{_TASK}"
    rf"|\bi [^.]*\band {_ADVERBS}{_UNABLE} {_ADVERBS}{_TASK}"
    r"|\b(?:i|we) (?:[\w ]* )?(?:can not|will not|unable|not able|not going)(?: to)?$|\bi (?:do"
    r"|can) not think i (?:can|should)\b|\bi am not sure (?:that |if |whether )?i (?:can|am)"
    r"|\bi (?:\w+ )*(?:not|un)(?: \w+)?[ ]?comfortable\b|\bi find myself unable"
    r"|\bi am not (?:trained|programmed|built|made|designed) (?:to|for)|\bi (?:\w+ )*(?:refrain"
    r"|abstain) from|\bit is my policy not to|^\W*(?:this|that|it) is not (?:really "
    r"|currently )?(?:possible for me|within my)"
    r"|^\W*(?:\w+ )?i do not have enough (?:\w+ )+to answer|\bis not much i can do"
    r"|\bno choice but to (?:decline|refuse|say no)|\bi (?:\w+ )?lack the|\bi (?:do not (?:have"
    r"|possess|hold)|have no) (?:\w+ )*(?:ability|capability|capacity|means|access|real-time|live"
    r"|permission|authori[sz]ation|way|tools?|functionality|clearance|opinions?|preferences?|experiences?|feelings?|beliefs?)\b"
    r"|\bi (?:\w+ )?do not feel (?:comfortable|able|right|good|at ease)|\b(?:best|better) (?:that |if )?i (?:do"
    r"|should) not|\b(?:best|better) not to (?:discuss|answer|talk|go)|\blet(?:'s| us) (?:talk"
    r"|speak|discuss|change|move|focus)|\bi would rather (?:talk|discuss)"
    rf"|\b(?:i|we),? {_ADVERBS}(?:have to )?{_DECLINE}|^\W*(?:(?:no|sorry|nope|oh)\W+)?(?:unable"
    rf"|not able|can not|will not) (?:to )?{_TASK}"
    r"|^\W*(?:not (?:possible|allowed|permitted|available to me))\b|\bso,? no$"
    rf"|\b(?:something|one|topic|thing|area|subject|matter)s?(?: that)? i (?:\w+ )?{_UNABLE}"
    r"|\bnot (?:something|anything|one|an? \w+)(?: that| which)? i (?:can|am|will|do|would)\b"
    r"|\b(?:outside|beyond)(?: of)?(?: the scope of)? (?:what i|my )|\bout of scope for me"
    r"|\bnothing i can do to|\bno way i can"
    rf"|^(?:\W|unfortunately|sorry|but|so)*{_TOPIC}s?(?: you asked for| here)? (?:can"
    rf"|may) not be \w+(?:,? because|$| at (?:this|the) (?:time|moment))|{_TOPIC} (?:violates?"
    rf"|goes against|is against|conflicts with)"
    r"|^\W*(?:(?:your|the|this) )?(?:request|message|prompt|query|input) (?:was |is |has been )?"
    r"(?:denied|refused|rejected|blocked|declined|flagged|filtered)"
    r"(?: (?:by|due to|because of|for|under) (?:my|our|the|a) [\w ]+)?$"
    rf"|{_RULES} (?:do(?:es)? not (?:allow|permit|let)|prevents?|prohibits?|forbids?)"
    r" (?:me|us|this|that|it|such)\b"
    rf"|\b(?:go(?:es)?|be|is|would be|runs?) (?:against|counter to|afoul of) (?:my|our|the)(?: \w+){{0,2}}? {_RULES}"
    r"|\b(?:i|we) (?:am|are|was|were|have been) (?:\w+ )?(?:designed|trained|programmed|instructed|built"
    r"|made|told|asked|configured|set up) (?:to (?:avoid|refuse|decline|steer clear|stay away)|not to)"
    r"|\bi (?:avoid|stay away from|steer clear of|keep away from|draw the line)\b"
    r"|\bthis conversation can not\b|^\W*no can do\b|\bi (?:have to|must|need to|will) (?:stop|leave it|draw the line)"
    r"|\b(?:against|prohibited by|forbidden by|disallowed by|not allowed (?:by|under)|breach of"
    r"|violat\w+(?: of)?) (?:my|our) (?:\w+ ){{0,2}}{_RULES}(?:$|\W)"
    r"|\b(?:not (?:be )?(?:possible|appropriate|right|proper|ethical|within my power|my place)"
    rf"|impossible|inappropriate|wrong)(?: for me)? to (?:{_TASK}|do )"
    rf"|\b{_DOING}[\w ]* (?:is not possible|is not something|would be against my)"
    rf"|\b{_DOING} (?:this|that|such|the requested)[\w ]* is (?:not (?:allowed|permitted|possible)"
    r"|prohibited|forbidden|against|off limits|out of the question)"
    r"|\b(?:that|this|it) is (?:off limits|out of the question|a no|a hard no|where i draw)"
)
# Whose object is the request as a whole: what follows are reasons, unless it begins with "but".
_WHOLLY = re.compile(
    r"\b(?:help|assist|do|comply|fulfil|engage|write|create|generate|provide|answer)\w*(?: you"
    r"| anyone)?(?: with| in| to| on)?(?:$|,| (?:this|that|it|so|your request|such|\w+ing|these"
    r"|those|you (?!(?:at|by|on|in|before|until|with|here)\b)\w+)\b)|\b(?:refuse|decline)"
)
# What only keeps a refusal company: courtesy, understanding, a reason, a referral, another offer.
_COMPANY = re.compile(
    r"^\W*(?:(?:so|and|therefore|as|since|because) )*i (?:can|will|do) not\b|^\W*(?:(?:but|and|so"
    r"|however|still|therefore|also|while|although|though|well|hmm|oh) )*(?:i am (?:very |really "
    r"|so |truly )?(?:sorry|afraid)|sorry|(?:my )?apolog|unfortunately|sadly|regret|thank|hello"
    r"|hi\b|hey\b|dear|oh\b|best regards|kind regards|sincerely|please (?:respect|note|understand"
    r"|keep|try again|rephrase|let)|take care|let me|to be|i (?:\w+ )?(?:understand|appreciate"
    r"|hear|realise|realize|know|hope|respect|recogni[sz]e|believe|see|get|wish|am going to stop"
    r"|suggest|encourage|would (?:love|like|be happy|be glad|suggest|encourage))|i am (?:here"
    r"|happy|glad|just|only|an? |bound)|i was (?:designed|made)|as an? |being an|let me know"
    r"|feel free|is there|are there|what (?:else|i can do)|how (?:else|about)|would you like"
    r"|perhaps (?:we|you|i)|maybe (?:we|you|i)|i (?:can|could|may|will) (?:\w+ ){0,3}(?:help"
    r"|assist|explain|talk|discuss)|you (?:may|might|could|should) (?:want|wish|consider|consult"
    r"|contact|try|speak|talk|reach|ask)|if you|(?:that|this|it) (?:is an? |sounds|looks like an?)"
    r"|you (?:have )?ask|you are (?:asking|looking)|your (?:request|message|question|prompt))"
    r"|\b(?:illegal|unsafe|harm\w*|danger\w*|unethical|privacy|private|polic(?:y|ies)|guidelines"
    r"|dishonest|against the law|at risk|hurt|violat\w*|copyright\w*|irresponsible|inappropriate|sensitive"
    r"|misleading|abus\w*|offensive|safety|ethic\w*|misuse\w*|your request|what you ask\w*)\b"
    r"|\b(?:consult|contact|speak (?:to|with)|see|seek|reach out|call|talk to|ask)\b.*\b(?:doctor"
    r"|lawyer|attorney|professional|expert|support|services|authorit|therapist|helpline|advis"
    r"|police|official|website|lawyer)|\b(?:something|anything|someone|somebody) else|\b(?:another"
    r"|different) (?:\w+ )?(?:topic|story|question|request|way|task)|\bother (?:questions?|topics?"
    r"|requests?|tasks?|things)|\binstead$"
)
_CUTOFF = re.compile(
    r"\bmy (?:\w+ )?(?:training|knowledge|data|information|cutoff)\b.*\b(?:ends?|ended|cut|stops?|only"
    r"|up to|until|limited|goes|go|extends?|is from)\b"
)
_INSTEAD = re.compile(r"^(?:but|so|yet|though|however)\b|\byou (?:can|are)\b|\bhere\b|^your |\"\"")
_CLAUSE = re.compile(
    r"(?<=[.!?;:])\s+|\n+|\s-+\s|;\s*|,?\s+(?=(?:(?<!choice )but|however|though|although|yet)\b)"
    r"|,\s+(?=so\b)"
)
# A text about a text: a list of phrases, a dialogue, a draft, code, data.
_ABOUT = re.compile(
    r"^\s*[{\[]|^(?:def|class|import) |^\s*\d[.)] .*\n\s*\d[.)] |^(?!answer|assistant|response"
    r"|sorry|no\b|yes\b|unfortunately|note|respectfully)[\w'-]+(?: [\w'-]+)?: "
    r"|^[^.\n]*\b(?:here is|here's|draft|reply|translat|mean|says?|said|wrote|writes|answered"
    r"|replied|category|sentiment)\b[^.\n]*:"
)


def refuses(text: str) -> bool:
    """Return whether a text is a refusal and nothing more, or JSON with only one in it."""
    if text.lstrip()[:1] == "{":
        return _refuses_in_json(text)
    if len(text) > MOST_CHARS or _ABOUT.search(said := _write_out(text)):
        return False
    if re.fullmatch(r"\W*(?:sorry|no|nope)\W+(?:no|sorry)\W*", said):
        return True
    clauses = [clause.rstrip(' .!?,:;"()') for clause in _CLAUSE.split(said)]
    declined = [clause for clause in clauses if _REFUSES.search(clause)]
    rest = [clause for clause in clauses if clause not in declined]
    wholly = any(map(_WHOLLY.search, declined))
    return bool(declined) and not any(_has_substance(clause, wholly) for clause in rest)


def _refuses_in_json(text: str) -> bool:
    with suppress(ValueError, RecursionError):
        fields = json.loads(text)
        texts = [fields[name] for name in _FIELDS if isinstance(fields.get(name), str)]
        others = [value for name, value in fields.items() if name not in _FIELDS]
        bare = not any(value for value in others if not isinstance(value, int | float))
        return bare and len(texts) == 1 and refuses(texts[0])
    return False


def _write_out(text: str) -> str:
    said = text.strip().translate(_KEYBOARD).strip()
    if said[:1] == said[-1:] and len(_QUOTED.findall(said)) == 1 and _QUOTED.fullmatch(said):
        said = said[1:-1]
    said = _QUOTED.sub('""', said).casefold()
    for short, long in _LONG.items():
        said = re.sub(short, long, said)
    return said


def _has_substance(clause: str, wholly: bool) -> bool:
    """Return whether a clause beside a refusal says something of its own."""
    words = re.findall(r"[\w']+", clause)
    if _CUTOFF.search(clause):
        return False
    if any(word[0].isdigit() for word in words):
        return True
    if len(words) < LEAST_WORDS or _COMPANY.search(clause):
        return False
    return not wholly or bool(_INSTEAD.search(clause))
